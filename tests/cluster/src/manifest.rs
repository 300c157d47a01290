//! Manifests as text: what a test needs of YAML without reading it.

/// The documents of a file, without those that hold nothing but comments.
#[must_use]
pub fn documents(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in text.lines() {
        if line == "---" || line.starts_with("--- ") {
            documents.push(String::new());
        } else if let Some(document) = documents.last_mut() {
            document.push_str(line);
            document.push('\n');
        }
    }
    let says = |line: &str| !line.trim().is_empty() && !line.starts_with('#');
    documents.retain(|document| document.lines().any(says));
    documents
}

/// One file of these documents.
#[must_use]
pub fn file_of<'a>(documents: impl IntoIterator<Item = &'a String>) -> String {
    documents.into_iter().map(|document| format!("---\n{document}")).collect()
}

/// Every order of so many things, as indexes; Heap's algorithm.
#[must_use]
pub fn orders(count: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut orders = vec![order.clone()];
    let mut turns = vec![0; count];
    let mut place = 1;
    while place < count {
        if turns[place] < place {
            order.swap(if place.is_multiple_of(2) { 0 } else { turns[place] }, place);
            orders.push(order.clone());
            turns[place] += 1;
            place = 1;
        } else {
            turns[place] = 0;
            place += 1;
        }
    }
    orders
}

#[cfg(test)]
mod tests {
    use super::{documents, file_of, orders};

    #[test]
    fn a_file_falls_into_its_documents_and_back() {
        let found = documents("# says nothing\n---\nkind: A\n--- # second\nkind: B\n---\n");
        assert_eq!(found, ["kind: A\n", "kind: B\n"]);
        assert_eq!(file_of(&found), "---\nkind: A\n---\nkind: B\n");
    }

    #[test]
    fn every_order_is_there_once() {
        for (count, expected) in [(1, 1), (2, 2), (3, 6), (4, 24), (5, 120)] {
            let mut all = orders(count);
            assert_eq!(all.len(), expected);
            all.sort();
            all.dedup();
            assert_eq!(all.len(), expected);
        }
    }
}
