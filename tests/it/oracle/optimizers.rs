//! PyTorch's optimizers in `f64`, each for one flat tensor.

/// Adam as `torch.optim.Adam`, for one flat tensor:
/// `m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`,
/// `p -= lr * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)`.
#[derive(Clone, Debug)]
pub struct Adam {
    pub lr: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
    m: Vec<f64>,
    v: Vec<f64>,
    t: i32,
}

impl Adam {
    /// With PyTorch's defaults: betas 0.9 and 0.999, eps 1e-8.
    pub fn new(lr: f64) -> Self {
        Self { lr, beta1: 0.9, beta2: 0.999, eps: 1e-8, m: Vec::new(), v: Vec::new(), t: 0 }
    }

    pub fn step(&mut self, parameters: &mut [f64], gradient: &[f64]) {
        assert_eq!(parameters.len(), gradient.len());
        self.m.resize(gradient.len(), 0.0);
        self.v.resize(gradient.len(), 0.0);
        self.t += 1;
        for (k, &g) in gradient.iter().enumerate() {
            self.m[k] = self.beta1 * self.m[k] + (1.0 - self.beta1) * g;
            self.v[k] = self.beta2 * self.v[k] + (1.0 - self.beta2) * g * g;
            let m_hat = self.m[k] / (1.0 - self.beta1.powi(self.t));
            let v_hat = self.v[k] / (1.0 - self.beta2.powi(self.t));
            parameters[k] -= self.lr * m_hat / (v_hat.sqrt() + self.eps);
        }
    }
}

/// AdamW as `torch.optim.AdamW`: `p *= 1 - lr * weight_decay`, then Adam's step.
#[derive(Clone, Debug)]
pub struct AdamW {
    pub adam: Adam,
    pub weight_decay: f64,
}

impl AdamW {
    pub fn new(lr: f64, weight_decay: f64) -> Self {
        Self { adam: Adam::new(lr), weight_decay }
    }

    pub fn step(&mut self, parameters: &mut [f64], gradient: &[f64]) {
        for p in parameters.iter_mut() {
            *p *= 1.0 - self.adam.lr * self.weight_decay;
        }
        self.adam.step(parameters, gradient);
    }
}

/// SGD as `torch.optim.SGD(lr, momentum)`: `buf = momentum * buf + g` (`g` on the
/// first step), `p -= lr * buf`.
#[derive(Clone, Debug)]
pub struct SgdMomentum {
    pub lr: f64,
    pub momentum: f64,
    buf: Vec<f64>,
}

impl SgdMomentum {
    pub fn new(lr: f64, momentum: f64) -> Self {
        Self { lr, momentum, buf: Vec::new() }
    }

    pub fn step(&mut self, parameters: &mut [f64], gradient: &[f64]) {
        assert_eq!(parameters.len(), gradient.len());
        self.buf.resize(gradient.len(), 0.0);
        for (k, &g) in gradient.iter().enumerate() {
            self.buf[k] = self.momentum * self.buf[k] + g;
            parameters[k] -= self.lr * self.buf[k];
        }
    }
}
