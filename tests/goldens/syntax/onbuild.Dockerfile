FROM alpine
ONBUILD RUN make
onbuild  copy --from=x a \
   b
ONBUILD RUN cat <<-EOF
	x
	EOF
ONBUILD ENV a=b
ONBUILD -- WORKDIR /x
ONBUILD HEALTHCHECK NONE
