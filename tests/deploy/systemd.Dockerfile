# The image with systemd, in which the units run as on a machine.
ARG BASE
FROM ${BASE}
USER root
RUN apt-get update --quiet=2 \
    && apt-get install --quiet=2 --no-install-recommends systemd systemd-sysv dbus > /dev/null \
    && ln -s /opt/civitai-etl/bin/civitai-etl /usr/local/bin/
HEALTHCHECK NONE
CMD ["/sbin/init"]
