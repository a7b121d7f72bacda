#!/bin/sh
# A health monitor as a shell script: it asks every service once a round by curl, and serves what it knows by Python's
# own file server. Its environment is all that it knows of the harness.
cd "$HARNESS_DIRECTORY" || exit 1
mkdir -p www/api
write() {
    printf '{"services": {"feed": {"state": "%s"}}}' "$1" > www/api/fresh && mv www/api/fresh www/api/health
}
write UNKNOWN
(cd www && exec python3 -m http.server --bind 127.0.0.1 "$HARNESS_PORT" 2>/dev/null) &
told=no
while :; do
    if curl -fs -m "$HARNESS_TIMEOUT_S" "$HARNESS_SERVICE_0" > /dev/null; then
        write HEALTHY
    else
        write CRITICAL
        if [ "$told" = no ]; then
            told=yes
            curl -s -d '{"id": "down-1", "service": "feed", "kind": "down"}' "$HARNESS_URL/alert"
        fi
    fi
    sleep "$HARNESS_INTERVAL_S"
done
