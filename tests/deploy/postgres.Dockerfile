# What deploy/compose.yaml expects of its image `postgres`, made of Debian's packages where no registry answers.
ARG BASE
FROM ${BASE}
RUN apt-get update --quiet=2 && apt-get install --quiet=2 --no-install-recommends postgresql > /dev/null \
    && ln -s /usr/lib/postgresql/*/bin/* /usr/local/bin/
RUN printf '%s\n' '#!/bin/sh' 'set -eu' 'cd /var/lib/postgresql/data' \
        'if [ ! -e PG_VERSION ]; then' \
        '    printf "%s" "$POSTGRES_PASSWORD" > /tmp/password' \
        '    initdb --pgdata . --username "$POSTGRES_USER" --pwfile /tmp/password --auth scram-sha-256' \
        '    echo "host all all all scram-sha-256" >> pg_hba.conf' \
        '    printf "create database %s;\n" "$POSTGRES_DB" | postgres --single -D . postgres' \
        'fi' \
        'exec postgres -D . -c "listen_addresses=*"' > /usr/local/bin/start && chmod +x /usr/local/bin/start \
    && install --directory --owner postgres --mode 700 /var/lib/postgresql/data
USER postgres
VOLUME /var/lib/postgresql/data
CMD ["start"]
