#!/bin/sh
# Makes a Cluster of six running, empty servers: the first three become primaries, and each gets a
# replica among the last three. redis-cli puts a replica on another address than its primary's.
#
# REDISCLI_AUTH is the password of node.conf. valkey-cli takes the same arguments.
set -eu
: "${REDISCLI_AUTH:?is the password of node.conf}"

redis-cli --cluster create \
    10.0.0.21:6379 10.0.0.22:6379 10.0.0.23:6379 \
    10.0.0.24:6379 10.0.0.25:6379 10.0.0.26:6379 \
    --cluster-replicas 1 --cluster-yes

redis-cli --cluster check 10.0.0.21:6379
