FROM alpine
RUN echo "a  b"   c
RUN
RUN []
CMD
ENTRYPOINT exec top -b
run lower
cMd Mixed
RUN -- --not-a-flag
