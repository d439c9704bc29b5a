#!/bin/sh
# Makes .venv with everything meshd needs, and installs the system packages of packages.txt when it
# may (root, or sudo without a password); otherwise it prints the line to run and goes on.
# Quick, and silent, when there is nothing to do. PYTHON=… chooses the interpreter.
set -eu
cd "$(dirname "$0")/.."
python_done=.venv/.python-done

say() { printf '%s\n' "$*" >&2; }
did=

# --- system packages ---------------------------------------------------------------------------

as_root=none
if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root='sudo -n'
fi

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

missing_packages() {
    sed -e 's/#.*//' packages.txt | while read -r name mark; do
        [ -z "$name" ] || installed "$name" || printf '%s\n' "$name"
    done
}

# Debian starts and enables daemons when it installs them. We want the programs, not the services:
# forbid starting during the installation, then disable the services of what was new.
apt_install() {
    export DEBIAN_FRONTEND=noninteractive
    policy=/usr/sbin/policy-rc.d
    ours=
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
        $as_root chmod 755 "$policy"
        ours=yes
        trap '$as_root rm -f "$policy"' EXIT INT TERM
    fi
    status=0
    $as_root apt-get install -y -qq -o Dpkg::Use-Pty=0 \
        --no-install-recommends "$@" </dev/null >&2 || status=$?
    if [ -n "$ours" ]; then
        $as_root rm -f "$policy"
        trap - EXIT INT TERM
    fi
    for package; do
        installed "$package" && disable_services "$package"
    done
    return "$status"
}

disable_services() {
    command -v deb-systemd-helper >/dev/null || return 0
    dpkg -L "$1" | sed -n 's|.*/systemd/system/\([^/@]*\.service\)$|\1|p' | while read -r unit; do
        $as_root deb-systemd-helper disable "$unit" >/dev/null 2>&1 || true
    done
    dpkg -L "$1" | sed -n 's|^/etc/init.d/\([^/]*\)$|\1|p' | while read -r name; do
        $as_root update-rc.d "$name" disable >/dev/null 2>&1 || true
    done
}

system_packages() {
    command -v apt-get >/dev/null || {
        say "setup: no apt-get here; what packages.txt lists has to be installed by hand"
        return 0
    }
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    if [ "$as_root" = none ]; then
        say "setup: some system packages are missing; what needs them is left out until you run"
        say "    sudo apt-get install $(echo $missing)"
        return 0
    fi
    did=yes
    say "setup: installing with apt, which may take minutes: $(echo $missing)"
    $as_root apt-get update -qq </dev/null >&2 || say "setup: apt-get update failed; going on"
    wanted=
    for package in $missing; do
        if apt-cache show "$package" >/dev/null 2>&1; then
            wanted="$wanted $package"
        else
            say "setup: $package is not in this distribution; what needs it is left out"
        fi
    done
    [ -z "$wanted" ] || apt_install $wanted || say "setup: apt-get failed; going on"
}

# --- Python ------------------------------------------------------------------------------------

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null && new_enough "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
}

apt_for_python() {
    if ! command -v apt-get >/dev/null || [ "$as_root" = none ]; then
        say "setup: Python 3.11 or newer with its venv module is missing; please run"
        say "    sudo apt-get install $*"
        exit 1
    fi
    $as_root apt-get update -qq </dev/null >&2 || true
    apt_install "$@" || {
        say "setup: no Python 3.11 or newer could be installed; PYTHON=/path/to/python make setup"
        exit 1
    }
}

# Tells root when .venv stands on a Python that other users may not reach, as one in /root.
for_others() {
    [ "$(id -u)" = 0 ] || return 0
    closed=$(closed_folder "$(readlink -f .venv/bin/python)")
    if [ -n "$closed" ] && [ -z "$(closed_folder "$PWD/.venv")" ]; then
        say "setup: other users cannot run .venv/bin/meshd: its Python is in $closed, which they may not enter."
        say "setup: for all users: rm -r .venv; PYTHON=/usr/bin/python3 make setup"
    fi
}

closed_folder() {
    at=$(dirname "$1")
    while [ "$at" != / ]; do
        [ -n "$(find "$at" -maxdepth 0 -perm -o=x)" ] || { echo "$at"; return; }
        at=$(dirname "$at")
    done
}

python_environment() {
    if [ -e "$python_done" ] && [ ! pyproject.toml -nt "$python_done" ] &&
        .venv/bin/python -c '' 2>/dev/null; then
        return
    fi
    python=$(find_python)
    if [ -z "$python" ]; then
        command -v python3 >/dev/null || apt_for_python python3 python3-venv
        python=$(find_python)
    fi
    if [ -z "$python" ]; then
        apt_for_python python3.11 python3.11-venv
        python=$(find_python)
    fi
    if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
        case $python in
        */python3) apt_for_python python3-venv ;;
        *) apt_for_python "$(basename "$python")-venv" ;;
        esac
    fi
    did=yes
    if ! new_enough .venv/bin/python; then
        say "setup: making .venv with $("$python" --version)"
        "$python" -m venv --clear .venv
    fi
    say "setup: $(.venv/bin/python --version) in .venv; pip fetches some fifty packages now:"
    say "setup: a minute or two, many times that on a small board or a busy machine"
    PIP_ROOT_USER_ACTION=ignore .venv/bin/python -m pip install \
        --disable-pip-version-check --no-compile --editable '.[dev,qr]' >&2 || {
        say "setup: pip failed; what it says above tells why. It needs the internet, or a cache of it."
        exit 1
    }
    # pip compiles on one core; what some packages keep for other Pythons cannot be compiled.
    .venv/bin/python -m compileall -q -j 0 .venv/lib >/dev/null 2>&1 || :
    touch "$python_done"
    for_others
}

system_packages
python_environment
[ -z "$did" ] || say "setup: done; the program is .venv/bin/meshd"
