"""Pictures of pictures: sheets, strips and films for people to look at, and PNGs that say how they were drawn."""
