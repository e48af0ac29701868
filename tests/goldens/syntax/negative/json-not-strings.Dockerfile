FROM alpine
CMD [1]
RUN ["a", null]
COPY [["a"], "b"]
ENTRYPOINT ["a", {"b": 1}]
HEALTHCHECK CMD [true]
