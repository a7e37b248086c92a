"""Packets as bytes: which flow one belongs to, who sent it, and how to cut a super-packet. Touches nothing outside.

A packet here is what a TUN device with IFF_VNET_HDR gives and takes: a 10-byte virtio_net_hdr (`vnet`), then raw IP.
"""
