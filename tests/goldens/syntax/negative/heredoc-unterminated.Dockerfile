FROM alpine
RUN cat <<EOF
x
 EOF
EOF2
RUN more
