"""What runs at the line. Needs cv2, which no requirement can bring on a Jetson: JetPack's own is the one with GStreamer."""

from importlib.util import find_spec

if find_spec("cv2") is None:
    raise ImportError(
        "OpenCV (cv2) is not installed; on a Jetson make the venv with --system-site-packages, so that JetPack's is found, "
        "elsewhere run: pip install opencv-python-headless"
    )
