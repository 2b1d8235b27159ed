"""The published star: immutable files, the release that is being built, and the commit that publishes it."""
