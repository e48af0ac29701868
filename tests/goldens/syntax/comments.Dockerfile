# plain
#   directly above   
#
FROM alpine

# not above

RUN a
   # indented
	# tabbed
RUN b
# check=skip=JSONArgsRecommended
CMD c
RUN d # not a comment
# the end
