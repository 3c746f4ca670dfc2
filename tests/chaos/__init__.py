"""Workers, servers and networks are broken at random while runs go on: `make test-chaos`."""
