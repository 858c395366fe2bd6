"""`labs fetch`: pretrained weights and data sets, put where torchvision looks for them, each checked and resumable.

Addresses and checksums are torchvision's own. Neither torch nor torchvision is imported before it is needed.
"""
