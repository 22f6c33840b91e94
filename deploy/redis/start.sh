#!/bin/sh
# Starts Redis with its users, and with their passwords, which are made once. The API and the workers each read their
# own from a volume that nobody else mounts; the operator's stays with Redis' data.
set -eu

# 256 random bits in the file $1, if it is not there yet, readable for $2.
make_password() {
  [ -s "$1" ] && return
  (umask 077 && od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > "$1.new")
  chmod "$2" "$1.new"
  mv "$1.new" "$1"
}

hash_of() {
  tr -d '\n' < "$1" | sha256sum | cut -d ' ' -f 1
}

make_password /passwords/api/password 444  # the API's user is another than Redis'; so is the workers'
make_password /passwords/worker/password 444
make_password /data/operator-password 400
# The user who counts jobs is there only where something scales workers by it, and has brought its password.
scaler='/^user scaler /d'
[ -s /passwords/scaler/password ] && scaler="s/SCALER_SHA256/$(hash_of /passwords/scaler/password)/"
umask 077
sed -e "s/API_SHA256/$(hash_of /passwords/api/password)/" \
    -e "s/WORKER_SHA256/$(hash_of /passwords/worker/password)/" \
    -e "$scaler" \
    -e "s/OPERATOR_SHA256/$(hash_of /data/operator-password)/" /opt/redis/users.acl > /data/users.acl
exec "$@" --aclfile /data/users.acl
