"""One crawl and what belongs to it: lists, existence checks, discovery between crawls, look-ups."""
