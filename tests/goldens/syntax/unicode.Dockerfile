FROM alpine
ENV schlüssel="wört 😀" b=2
COPY 😀.txt  ünï /ziel/
RUN echo „“ \
 😀 <<ÄÖ
😀
ÄÖ
