FROM alpine
CMD ["a", "b c", "\u00e9\n\""]
CMD  [ ]
CMD ["a"]junk
CMD ['a']
CMD ["a",]
CMD ["half \ud800"]
CMD [a
ENTRYPOINT ["x"]
RUN ["ls", \
     "-l"]
SHELL ["/bin/bash", "-c"]
VOLUME ["/a b", "/c"]
VOLUME /a /b
COPY ["a b", "$c", "/d e/"]
ADD  ["x", "/y"]
HEALTHCHECK CMD ["a", "b"]
