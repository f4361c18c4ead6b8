//! The names of a model's tensors: what to say if a file has others.

use crate::{error::Error, files::names::changes};
use std::collections::HashSet;

/// Longest name to print in full.
const MAX_NAME: usize = 60;
/// Names to compare in a file where none fits.
const MAX_COMPARED: usize = 500;

/// The error for a file whose tensors have the names `found` instead of `expected`, each in its order. They must differ.
pub(super) fn error(file: &str, expected: &[String], found: &[String]) -> Error {
    let [expected_names, found_names] = [expected, found].map(|names| names.iter().collect::<HashSet<_>>());
    let missing: Vec<_> =
        expected.iter().filter(|name| !found_names.contains(name)).take(MAX_COMPARED).collect();
    let extra: Vec<_> =
        found.iter().filter(|name| !expected_names.contains(name)).take(MAX_COMPARED).collect();
    let differ = |expected: &str, found: String| Error::format(file, "tensor", expected, found);

    let Some(first) = missing.first() else {
        let extra = extra.first().map_or("others", |name| name.as_str());
        return differ("the model's tensors and no others", format!("`{}`; remove it", short(extra)));
    };
    for name in &extra {
        let unwrapped = name.replace("_orig_mod.", "").replace("module.", "");
        let wrapped = unwrapped.len() < name.len() && missing.contains(&&unwrapped);
        if let Some(meant) = wrapped.then_some(unwrapped) {
            let remedy = if name.contains("_orig_mod.") {
                "the prefix of torch.compile; save `model._orig_mod`"
            } else {
                "the prefix of DataParallel; save `model.module`"
            };
            return differ(&format!("`{meant}`"), format!("`{}`, with {remedy}", short(name)));
        }
        if let Some((prefix, meant)) =
            missing.iter().find_map(|meant| Some((name.strip_suffix(meant.as_str())?, meant)))
        {
            let remedy = format!("remove the prefix `{}` from all names", short(prefix));
            return differ(&format!("`{meant}`"), format!("`{}`; {remedy}", short(name)));
        }
        let parametrized = missing
            .iter()
            .find(|meant| name.strip_prefix(meant.as_str()).is_some_and(|rest| rest.starts_with('_')));
        if parametrized.is_some() || name.contains("parametrizations.") {
            let remedy = "of a pruned or parametrized layer; make it permanent first (prune.remove, remove_parametrizations)";
            return differ(
                &format!("`{}`", parametrized.unwrap_or(first)),
                format!("`{}` {remedy}", short(name)),
            );
        }
    }
    let pairs = missing.iter().take(20).flat_map(|meant| extra.iter().map(move |name| (meant, name)));
    let near = pairs.filter_map(|(meant, name)| Some((changes(meant, name)?, meant, name)));
    if let Some((_, meant, name)) = near.min_by_key(|(changes, ..)| *changes) {
        return differ(&format!("`{meant}`"), format!("`{name}`; did you mean `{meant}`?"));
    }
    let remedy = match extra.first() {
        Some(other) => format!(", but `{}`; python/exchange.py writes the expected names", short(other)),
        None if first.ends_with(".bias") => "; for a layer without a bias, store zeros".to_owned(),
        None => String::new(),
    };
    differ(&format!("`{first}`"), format!("no such tensor{remedy}"))
}

/// The beginning of a name.
fn short(name: &str) -> String {
    match name.char_indices().nth(MAX_NAME) {
        Some((end, _)) => format!("{}...", &name[..end]),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    fn message(found: &[&str]) -> String {
        let expected = ["encoder.0.weight", "encoder.0.bias", "decoder.0.weight", "decoder.0.bias"];
        let [expected, found] =
            [&expected[..], found].map(|names| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        super::error("m", &expected, &found).to_string()
    }

    #[test]
    fn the_nearest_name_is_suggested() {
        let names = ["encoder.0.weight", "encoder.0.bais", "decoder.0.weight", "decoder.0.bias"];
        assert_eq!(
            message(&names),
            "m: tensor: expected `encoder.0.bias`, found `encoder.0.bais`; did you mean `encoder.0.bias`?"
        );
        let names = ["encoder.1.weight", "encoder.1.bias", "decoder.0.weight", "decoder.0.bias"];
        assert!(message(&names).contains("found `encoder.1.weight`; did you mean `encoder.0.weight`?"));
    }

    #[test]
    fn missing_and_extra_tensors_are_named() {
        let names = ["encoder.0.weight", "decoder.0.weight"];
        assert!(message(&names).ends_with(
            "expected `encoder.0.bias`, found no such tensor; for a layer without a bias, store zeros"
        ));
        let names =
            ["encoder.0.weight", "encoder.0.bias", "decoder.0.weight", "decoder.0.bias", "classifier.weight"];
        assert!(message(&names).ends_with("found `classifier.weight`; remove it"));
        assert!(message(&["fc1.weight"]).contains("but `fc1.weight`; python/exchange.py"));
        assert!(message(&[]).ends_with("expected `encoder.0.weight`, found no such tensor"));
    }

    #[test]
    fn prefixes_and_parametrized_layers_get_the_remedy() {
        for (wrapped, expected) in [
            ("_orig_mod.encoder.0.weight", "with the prefix of torch.compile; save `model._orig_mod`"),
            ("module._orig_mod.encoder.0.weight", "with the prefix of torch.compile"),
            ("encoder._orig_mod.0.weight", "with the prefix of torch.compile"),
            ("module.encoder.0.weight", "with the prefix of DataParallel; save `model.module`"),
        ] {
            assert!(message(&[wrapped]).contains(expected), "{wrapped}");
        }
        assert!(message(&["net.encoder.0.weight"]).contains("remove the prefix `net.`"));
        assert!(message(&["encoder.0.weight_orig"]).contains("of a pruned or parametrized layer"));
        assert!(message(&["encoder.0.parametrizations.weight.original0"]).contains("of a pruned"));
    }
}
