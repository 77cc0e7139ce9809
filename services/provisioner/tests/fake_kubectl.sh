#!/bin/sh
# A stand-in for kubectl: answers from the files of a folder, and writes down what it is told to change.
# fake_kubectl.sh FOLDER WORDS...
folder=$1; shift
case "$*" in
  "get --raw /readyz") cat "$folder/readyz" ;;
  get*) if [ -f "$folder/$2.json" ]; then cat "$folder/$2.json"; else echo '{"items": []}'; fi ;;
  "create token"*) echo "a-token-of-the-cluster" ;;
  *) echo "$*" >> "$folder/told"; cat >> "$folder/told" ;;
esac
