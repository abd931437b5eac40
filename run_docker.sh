#!/bin/sh
# Builds the image, and replaces the running container with one of it; the data stays.
#
#   ./run_docker.sh [OPTION OF docker run ...]
#   ./run_docker.sh -v /srv/recordings:/srv/recordings:ro
#
# Settings come from .env beside this file: SQLALCHEMY_DATABASE_URI for MySQL or MariaDB, and so on.
# Docker takes its lines literally: quotes become part of the value, and so does a comment behind it.
# MERGER_HOST and MERGER_PORT in there say where this host listens for the web service.
# BASE_IMAGE in there pins the image that this one is built on: docs/docker.md.
# MERGER_DATA_VOLUME names the volume, or the folder of the host, for the data (lecture-merger).
set -eu

name=lecture-merger
volume=${MERGER_DATA_VOLUME:-lecture-merger}
dri=/dev/dri

say() { printf 'run_docker.sh: %s\n' "$*" >&2; }
refuse() { say "$*"; exit 1; }

case ${1:-} in
-h | --help)
    sed -n '2,/^set/{s/^# \{0,1\}//p;}' "$0"
    exit
    ;;
esac

CDPATH='' cd -- "$(dirname -- "$0")"

command -v docker >/dev/null || refuse "docker is not installed, or not on the PATH"
runtimes=$(docker info --format '{{json .Runtimes}}' 2>&1) ||
    refuse "docker does not answer; does its service run, and may $(id -un) use it? It says: $runtimes"

[ -f .env ] || refuse "there is no .env; copy .env.example to it: cp .env.example .env"
quoted=$(sed -n "s/^[[:space:]]*\([A-Za-z_][A-Za-z0-9_]*\)=[\"'].*/\1/p" .env | tr '\n' ' ')
[ -z "$quoted" ] || say "warning: .env: docker makes quotes part of the value; remove them: $quoted"

setting() { sed -n "s/^$1=//p" .env | sed -n '$p'; }
host=$(setting MERGER_HOST)
host=${host:-127.0.0.1}
port=$(setting MERGER_PORT)
port=${port:-8080}

case $volume in
/*) [ -d "$volume" ] ||
    refuse "MERGER_DATA_VOLUME: make the folder first: mkdir -p '$volume'; chown 10001:10001 '$volume'" ;;
esac

# What was given stands last, so that it wins.
if nvidia-smi -L 2>/dev/null | grep -q '^GPU'; then
    case $runtimes in
    *nvidia*) set -- --gpus all "$@" ;;
    *) say "warning: the GPU stays unused: docker does not know the nvidia runtime;" \
        "install nvidia-container-toolkit, run: nvidia-ctk runtime configure --runtime=docker," \
        "and restart docker" ;;
    esac
fi
for node in "$dri"/renderD*; do # Intel and AMD
    [ -e "$node" ] || continue
    set -- --device "$node" --group-add "$(stat -c %g "$node")" "$@"
done
case " $* " in
*" --network host "* | *" --network=host "* | *" --net host "* | *" --net=host "*)
    set -- -e "MERGER_HOST=$host" "$@" ;;
*) # inside, it listens on all addresses of the container
    set -- -e MERGER_HOST=0.0.0.0 -p "$host:$port:$port" "$@" ;;
esac
set -- --cap-drop ALL --security-opt no-new-privileges \
    --restart unless-stopped --stop-timeout 60 --env-file .env -v "$volume:/data" \
    --log-driver json-file --log-opt max-size=10m --log-opt max-file=5 "$@" "$name"

# The old container works on until nothing but the change itself is left to do: a failed build, or
# what docker refuses of .env or the arguments, shows before.
base=$(setting BASE_IMAGE)
docker build ${base:+--build-arg "BASE_IMAGE=$base"} -t "$name" . ||
    refuse "the build failed; nothing was changed"
trial=$(docker create "$@") || refuse "docker refuses such a container; nothing was changed"
docker rm "$trial" >/dev/null

if docker container inspect "$name" >/dev/null 2>&1; then
    say "stopping the old container; it has a minute to hand its work back"
    docker stop -t 60 "$name" >/dev/null
    docker rm "$name" >/dev/null
fi
docker run -d --name "$name" "$@" >/dev/null ||
    refuse "the new container does not start, and the old one is gone; mend it and run this again"
say "$name runs at http://$host:$port/; docker logs -f $name shows what it does"
