"""What a disease adds, one file a disease: order of classes, regions, report fields, what defines the class, words, citation."""
