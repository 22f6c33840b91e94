#!/bin/sh
# What the tests want from the system: Chromium for the page, redis-server beside the embedded Valkey, nginx and Caddy,
# and wrk, which `make bench` needs too. Installed where that is possible (root on Debian); elsewhere what needs them says so.
set -eu
wanted=""
found_browser=no
for browser in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
    if [ -n "$browser" ] && command -v "$browser" >/dev/null; then found_browser=yes; fi
done
[ "$found_browser" = yes ] || wanted="chromium"
command -v redis-server >/dev/null || wanted="$wanted redis-server"
command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || wanted="$wanted nginx" # not in everybody's PATH there
command -v caddy >/dev/null || wanted="$wanted caddy"
command -v wrk >/dev/null || wanted="$wanted wrk"
[ -n "$wanted" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "Not here, and no right to install it; tests that need it will be skipped: $wanted"
    exit 0
fi
echo "Installing: $wanted"
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 # at run level 1 the packages start no daemon
apt-get update -q >/dev/null 2>&1 || true
for package in $wanted; do # one by one: not every release has all of them
    apt-get install -qy --no-install-recommends "$package" >/dev/null 2>&1 ||
        echo "Could not be installed; tests that need it will be skipped: $package"
done
