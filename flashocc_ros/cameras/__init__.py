"""From images, calibrations and transforms to one checked set; live topics and recordings go through it alike."""
