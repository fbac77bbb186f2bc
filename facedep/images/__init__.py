"""Opening any picture safely, and finding, turning and cropping the faces in it.

Main functions: `opening.open_picture`, `opening.prepare_image`, `faces.find_faces`, `alignment.crop_face`.
"""
