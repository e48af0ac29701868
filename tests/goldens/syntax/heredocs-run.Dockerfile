FROM alpine
RUN <<EOF
echo $HOME
EOF
RUN <<-"SCRIPT"
	#!/bin/sh
		echo tabs
  	kept
	SCRIPT
RUN cat <<A 3<<-B > /out \
    && true
a
A
	b
	B
RUN << END
blank before the word
END
RUN python3 <<EOF - arg
print(1)
EOF
RUN cat <<<EOF
RUN echo $((1<<2)) "<<NOT" a<<NOT \<<NOT
RUN cat <<
