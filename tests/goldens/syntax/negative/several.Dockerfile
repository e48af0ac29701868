FROM a b
COPY --lnik a
RUNN x
HEALTHCHECK --interval=1 --retries=z CMD y
ENV a
