//! serde's `rename_all`, and the kebab-case of rule ids.

/// A convention for the names of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

impl Case {
    /// As serde names it.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "lowercase" => Self::Lower,
            "UPPERCASE" => Self::Upper,
            "PascalCase" => Self::Pascal,
            "camelCase" => Self::Camel,
            "snake_case" => Self::Snake,
            "SCREAMING_SNAKE_CASE" => Self::ScreamingSnake,
            "kebab-case" => Self::Kebab,
            "SCREAMING-KEBAB-CASE" => Self::ScreamingKebab,
            _ => return None,
        })
    }

    /// The name of a field, as serde makes it of a snake_case one.
    pub(crate) fn apply_to_field(self, field: &str) -> String {
        match self {
            Self::Lower | Self::Snake => field.to_owned(),
            Self::Upper | Self::ScreamingSnake => field.to_ascii_uppercase(),
            Self::Pascal => pascal(field),
            Self::Camel => {
                let pascal = pascal(field);
                pascal[..1].to_ascii_lowercase() + &pascal[1..]
            }
            Self::Kebab => field.replace('_', "-"),
            Self::ScreamingKebab => field.to_ascii_uppercase().replace('_', "-"),
        }
    }
}

/// `NodeLocalClass` as `node-local-class`.
pub(crate) fn kebab(variant: &str) -> String {
    let mut id = String::new();
    for (index, character) in variant.char_indices() {
        if index > 0 && character.is_ascii_uppercase() {
            id.push('-');
        }
        id.push(character.to_ascii_lowercase());
    }
    id
}

fn pascal(field: &str) -> String {
    let mut name = String::new();
    let mut capitalize = true;
    for character in field.chars() {
        if character == '_' {
            capitalize = true;
        } else if capitalize {
            name.push(character.to_ascii_uppercase());
            capitalize = false;
        } else {
            name.push(character);
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_named_as_serde_names_them() {
        for (case, expected) in [
            ("lowercase", "storage_class_name"),
            ("UPPERCASE", "STORAGE_CLASS_NAME"),
            ("PascalCase", "StorageClassName"),
            ("camelCase", "storageClassName"),
            ("snake_case", "storage_class_name"),
            ("SCREAMING_SNAKE_CASE", "STORAGE_CLASS_NAME"),
            ("kebab-case", "storage-class-name"),
            ("SCREAMING-KEBAB-CASE", "STORAGE-CLASS-NAME"),
        ] {
            assert_eq!(
                Case::parse(case).map(|case| case.apply_to_field("storage_class_name")).as_deref(),
                Some(expected)
            );
        }
        assert_eq!(Case::parse("Camel"), None);
    }

    #[test]
    fn rule_ids_are_in_kebab_case() {
        assert_eq!(kebab("NodeLocalClass"), "node-local-class");
    }
}
