#!/bin/sh
# Makes the secrets of deploy/compose.yaml, each in a file that only its owner can read; none is ever overwritten.
# usage: secrets.sh [FOLDER [USER]] (default deploy/secrets, for the user 10001 of the container; as root, for chown)
set -eu
folder=${1:-$(dirname "$0")/secrets}
user=${2:-10001}
umask 077
mkdir "$folder"
password=$(head -c 24 /dev/urandom | base64 | tr '+/' '-_')
printf '%s' "$password" >"$folder/database_password"
printf 'database:5432:people:probefusion:%s\n' "$password" >"$folder/pgpass"
head -c 32 /dev/urandom | base64 >"$folder/master_key"
chown "$user" "$folder/pgpass" "$folder/master_key"
