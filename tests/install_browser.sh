#!/bin/sh
# The browser tests drive Debian's Chromium. Install it where that is possible; elsewhere those tests skip and say so.
set -eu
for browser in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
    if [ -n "$browser" ] && command -v "$browser" >/dev/null; then exit 0; fi
done
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "No Chromium here and no right to install it: the browser tests will be skipped."
    exit 0
fi
echo "Installing Chromium for the browser tests ..."
export DEBIAN_FRONTEND=noninteractive
{ apt-get update -q && apt-get install -qy --no-install-recommends chromium; } >/dev/null 2>&1 ||
    echo "Chromium could not be installed: the browser tests will be skipped."
