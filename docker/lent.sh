#!/bin/sh
# Runs a command of the build with what the build was lent, and what no layer keeps: wheels, and a site's own configuration.
set -eu

lent=/run/secrets
if [ -s $lent/environment ]; then
    # shellcheck source=/dev/null
    . $lent/environment
fi
if [ -s $lent/certificates ]; then
    export PIP_CERT=$lent/certificates SSL_CERT_FILE=$lent/certificates
fi
if [ -s $lent/pip.conf ]; then
    export PIP_CONFIG_FILE=$lent/pip.conf
fi
if [ -s $lent/apt.conf ]; then
    export APT_CONFIG=$lent/apt.conf
fi
PIP_FIND_LINKS=/mnt/wheels exec "$@"
