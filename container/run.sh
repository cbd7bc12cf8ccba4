#!/bin/sh
# Runs an image of `container/image.sh` as an ordinary user, without a daemon:
# `container/run.sh IMAGE:TAG`. Its server answers at http://127.0.0.1:8000/, and ends
# with this script (SIGTERM, Ctrl-C).
#
# In the container the user is 10001, outside it is whoever calls; nobody is root in it,
# and its root file system is read-only. It needs umoci, crun and python3.
set -eu

[ $# -eq 1 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
for tool in umoci crun python3; do
    command -v "$tool" > /dev/null && continue
    echo "error: there is no \`$tool\`: apt-get install $tool" >&2
    exit 1
done
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
umoci unpack --rootless --image "$1" "$work/bundle"
python3 - "$work/bundle/config.json" "$(id -u)" "$(id -g)" <<'EDIT'
import json
import sys

path, uid, gid = sys.argv[1:]
with open(path) as file:
    config = json.load(file)
process, linux = config["process"], config["linux"]
user = process["user"] = {"uid": 10001, "gid": 10001}
# One of each is all that an ordinary user may map without help.
for key, inside, outside in ("uidMappings", user["uid"], uid), ("gidMappings", user["gid"], gid):
    linux[key] = [{"containerID": inside, "hostID": int(outside), "size": 1}]
# Ports are those of this machine: nobody here may set up another network.
linux["namespaces"] = [item for item in linux["namespaces"] if item["type"] != "network"]
process["terminal"] = False
process["capabilities"] = {kind: [] for kind in process["capabilities"]}
config["root"]["readonly"] = True
options = ["nosuid", "nodev", "mode=1777"]
config["mounts"].append(
    {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": options}
)
with open(path, "w") as file:
    json.dump(config, file)
EDIT
crun --cgroup-manager=disabled --root "$work/state" run --bundle "$work/bundle" \
    "mod-wsgi-$$" &
server=$!
trap 'kill -TERM "$server"' TERM INT
# The first wait ends when a signal comes.
wait "$server" || wait "$server"
