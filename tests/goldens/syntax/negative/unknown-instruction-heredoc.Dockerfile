FROM alpine
RUUN <<EOF
not an instruction
EOF
USR x
