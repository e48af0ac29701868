"""Images to where people want them: OCI layout, docker archive, rootfs tar, directory."""
