"""What is done already: keys of steps, the contents they rest on, and the results that were committed under them."""
