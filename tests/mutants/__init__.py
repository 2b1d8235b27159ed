"""Rules of the transforms, broken on purpose one at a time, each with the test that has to notice (`make mutants`)."""
