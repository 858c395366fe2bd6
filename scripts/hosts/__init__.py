"""Bare machines for Ansible on this one: each boots systemd and sshd as its own, on a network that only they are on."""
