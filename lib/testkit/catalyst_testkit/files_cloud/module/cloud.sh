#!/bin/sh
# The API of a cloud that is a folder: a resource is a file `<kind>.<name>.json`, a fault is a file in `faults/`.
# Its errors end as a provider's do: a sentence, then (code, correlation id).
set -eu
refuse() { echo "$2 ($1, 0a1b2c3d)" >&2; exit 1; }
met() { [ -e "$FOLDER/faults/$1" ] && mv "$FOLDER/faults/$1" "$FOLDER/faults/.$1.met" 2>/dev/null; }
file="$FOLDER/$KIND.$NAME.json"
finished="$FOLDER/.$KIND.$NAME.finished"
# What the tool has broken off it marks in its state and replaces. A provider would delete the old one by its id first; here
# that is a destroy provisioner, which the tool does not run for what is marked. So what its state knows or knew makes room,
# and what it does not know refuses a second create of its name, once it is finished.
room() {
  [ -e "$finished" ] || return 0
  old=$(cat "$file" 2>/dev/null || :)
  old=${old#*\"id\":\"}
  grep -qsF "\"${old%%\"*}\"" "${0%/*}/terraform.tfstate" "${0%/*}/terraform.tfstate.backup"
}
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
  room || refuse uniqueness_error "$KIND $NAME exists"
  rm -f "$finished"
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
