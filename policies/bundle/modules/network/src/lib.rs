//! The built-in module of policies on how what runs is reached: Services and
//! Ingresses. One component, so that one instance serves all that judge one
//! object.

portcullis_sdk::module!(ingress_class::IngressClassPolicy, ingress_tls::IngressTls, service_exposure::ServiceExposure);
