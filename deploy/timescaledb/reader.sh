#!/bin/sh
# Runs once, when the image makes its database: the reader role may sign in. Migrations find the role and grant it the schema `analytics`.
set -eu
# psql quotes :'password' as a literal; it never stands in a command line.
psql -v ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\getenv password READER_PASSWORD
CREATE ROLE tidegauge_reader LOGIN PASSWORD :'password';
SQL
