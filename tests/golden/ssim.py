"""Write golden SSIM values from scikit-image, for the tests of `src/metrics/ssim.rs`.

    python3 -m venv venv
    venv/bin/pip install numpy scikit-image
    venv/bin/python ssim.py [OUTPUT]

Pair i of images (a, b), as a function of the pixel position y, x, in f32:

    a = 0.5 + 0.5 sin(0.3 x + 0.2 y (i + 1) + i)
    b = a + 0.1 (i + 1) sin(1.7 x + 2.3 y)

Each line of the output is: height,width,i,data_range,ssim. The window is Gaussian with sigma 1.5, truncated at 3.5
sigma. Covariances are those of the population, as in Wang et al. 2004.
"""

import sys
from pathlib import Path

import numpy
from skimage.metrics import structural_similarity


def main():
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("ssim.csv")
    lines = ["height,width,i,data_range,ssim"]
    for height, width in [(11, 11), (28, 28), (17, 40)]:
        y, x = numpy.mgrid[:height, :width].astype(numpy.float64)
        for i in range(4):
            a = (0.5 + 0.5 * numpy.sin(0.3 * x + 0.2 * y * (i + 1) + i)).astype(numpy.float32)
            b = (a + 0.1 * (i + 1) * numpy.sin(1.7 * x + 2.3 * y)).astype(numpy.float32)
            for data_range in (1.0, 2.0):
                ssim = structural_similarity(
                    a.astype(numpy.float64), b.astype(numpy.float64), data_range=data_range,
                    gaussian_weights=True, sigma=1.5, use_sample_covariance=False, K1=0.01, K2=0.03,
                )
                lines.append(f"{height},{width},{i},{data_range},{ssim:.12f}")
    output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
