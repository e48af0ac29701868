FROM \
  # a comment inside

  alpine:3 \

  AS base
RUN one \ 	
two\
three   \
# dropped
   four
RUN a\\
RUN last \
