"""The version of both programs: the Multipass release whose interface they speak."""

VERSION = "1.16.3"
