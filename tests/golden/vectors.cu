// vectors
typedef Axis<0, Spread<TW_SPREAD_m>, TW_STEP_m, TW_EVEN_m> Axis_m;
typedef Axis<1, Spread<TW_SPREAD_K>, TW_STEP_K, TW_EVEN_K> Axis_K;
typedef Axes<Axis_m> Axes_m;
typedef Axes<Axis_K> Axes_K;
typedef Axes<Axis_m, Axis_K> Axes_m_K;

struct Arguments {
    Fault* fault;
    unsigned launch;
    int m_first, m_last, m_programs;
    Tensor<const f32, 2> arg_x;
    Tensor<const f32, 1> arg_v;
    Tensor<f32, 1> arg_by_vector;
    Tensor<f32, 1> arg_with_self;
    int dim_M;
    int dim_K;
};

extern "C" __global__ void __launch_bounds__(TW_THREADS + TW_PRODUCERS)
vectors(const __grid_constant__ Arguments args) {
    // for m in tile(M)
    TW_SHARED(shared);
    (void)shared;
    unsigned program = blockIdx.x;
    Axis_m m;
    m.at(args.m_first + int(program % unsigned(args.m_programs)) * Axis_m::step, args.m_last);
    program /= unsigned(args.m_programs);
    Axis_K K;
    K.at(0, args.dim_K);
    (void)program;
    Tile<f32, Axes_m_K> v3;
    load<TW_VECTOR_0>(true, v3, args.arg_x.data, cast<f32>(0.0f), along(args.arg_x.stride[0], m), along(args.arg_x.stride[1], K));
    Tile<f32, Axes_K> v4;
    load<TW_VECTOR_1>(true, v4, args.arg_v.data, cast<f32>(0.0f), along(args.arg_v.stride[0], K));
    Tile<f32, Axes_m_K> v9;
    each(Axes_m_K, i) v9[i] = (v3[i] * v4.of<Axes_m_K>(i));
    Tile<f32, Axes_m> v5;
    reduce<false>(v5, v9, K, cast<f32>(0.0f), shared + TW_AT_0,
                  [](f32 a, f32 b) { return add(a, b); });
    sync_program();
    // by_vector[m] = dot(x[(m, ..)], v[..], K);
    store<TW_VECTOR_2>(true, v5, args.arg_by_vector.data, along(args.arg_by_vector.stride[0], m));
    Tile<f32, Axes_m_K> v6;
    load<TW_VECTOR_0>(true, v6, args.arg_x.data, cast<f32>(0.0f), along(args.arg_x.stride[0], m), along(args.arg_x.stride[1], K));
    Tile<f32, Axes_m_K> v7;
    load<TW_VECTOR_0>(true, v7, args.arg_x.data, cast<f32>(0.0f), along(args.arg_x.stride[0], m), along(args.arg_x.stride[1], K));
    Tile<f32, Axes_m_K> v10;
    each(Axes_m_K, i) v10[i] = (v6[i] * v7[i]);
    Tile<f32, Axes_m> v8;
    reduce<false>(v8, v10, K, cast<f32>(0.0f), shared + TW_AT_0,
                  [](f32 a, f32 b) { return add(a, b); });
    sync_program();
    // with_self[m] = dot(x[(m, ..)], x[(m, ..)], K);
    store<TW_VECTOR_3>(true, v8, args.arg_with_self.data, along(args.arg_with_self.stride[0], m));
}
