# Stands in for caddy:2 where no container registry can be reached: Debian's Caddy, with what matters of the original,
# its folders, volumes and the program's capability.
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends caddy libcap2-bin wget \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
 && setcap cap_net_bind_service=+ep /usr/bin/caddy \
 && mkdir -p /config/caddy /data/caddy
ENV XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data
VOLUME /config
VOLUME /data
CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
