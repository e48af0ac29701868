FROM alpine
HEALTHCHECK NONE
HEALTHCHECK --whatever none
HEALTHCHECK CMD a b
HEALTHCHECK cmd ["x"]
HEALTHCHECK --interval=1h2m3.5s --timeout=500ms --start-period=0 --start-interval=1500us --retries=+0 CMD x
HEALTHCHECK --interval= --retries= CMD x
