//! The text form of settings with parameters: `name` or `name(key=value, key=value)`.

/// A parsed text, from which the parameters are taken one after the other.
pub(crate) struct Spelling<'a> {
    name: &'a str,
    parameters: Vec<(&'a str, f32)>,
}

impl<'a> Spelling<'a> {
    /// Parses a text; `None` if it has another form.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let Some((name, rest)) = text.split_once('(') else {
            return Some(Self { name: text, parameters: vec![] });
        };
        let parameter = |text: &'a str| {
            let (key, value) = text.split_once('=')?;
            Some((key.trim(), value.trim().parse().ok()?))
        };
        let parameters = rest.strip_suffix(')')?.split(',').map(parameter).collect::<Option<_>>()?;
        Some(Self { name, parameters })
    }

    pub(crate) fn name(&self) -> &'a str {
        self.name
    }

    /// Removes and returns a parameter, if it is given.
    pub(crate) fn take(&mut self, key: &str) -> Option<f32> {
        let index = self.parameters.iter().position(|parameter| parameter.0 == key)?;
        Some(self.parameters.remove(index).1)
    }

    /// Returns whether all parameters were taken; others do not exist.
    pub(crate) fn is_used_up(&self) -> bool {
        self.parameters.is_empty()
    }
}
