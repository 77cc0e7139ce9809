#!/bin/sh
# The API of a cloud that is a folder: a resource is a file `<kind>.<name>.json`, a fault is a file in `faults/`.
# Its errors end as a provider's do: a sentence, then (code, correlation id).
set -eu
refuse() { echo "$2 ($1, 0a1b2c3d)" >&2; exit 1; }
met() { [ -e "$FOLDER/faults/$1" ] && mv "$FOLDER/faults/$1" "$FOLDER/faults/.$1.met" 2>/dev/null; }
file="$FOLDER/$KIND.$NAME.json"
# For what was broken off the tool runs no destroy provisioner: only what is finished refuses a second create.
finished="$FOLDER/.$KIND.$NAME.finished"
case "${FILES_TOKEN-}" in
fct_*) ;;
fcr_*) refuse token_readonly "the token may only read" ;;
*) refuse unauthorized "unable to authenticate" ;;
esac
case $1 in
create)
  if met capacity; then refuse resource_unavailable "no such size is left here"; fi
  if met quota; then refuse resource_limit_exceeded "no more of these"; fi
  if met rate_limit; then refuse rate_limit_exceeded "too many requests"; fi
  if met server_error; then refuse server_error "something went wrong"; fi
  [ ! -e "$finished" ] || refuse uniqueness_error "$KIND $NAME exists"
  printf '{"id":"%s","spec":%s}' "$ID" "$SPEC" > "$file.$$"
  mv "$file.$$" "$file"
  while [ -e "$FOLDER/faults/hold" ]; do sleep 0.02; done
  : > "$finished"
  if met lost_reply; then kill -9 $PPID; fi
  ;;
delete)
  if [ -e "$file" ] && read -r line < "$file" || [ -n "${line-}" ]; then
    case $line in "{\"id\":\"$ID\""*) rm -f "$file" "$finished" ;; esac
  fi
  ;;
esac
