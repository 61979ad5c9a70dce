// sums_float
typedef Axis<0, Spread<TW_SPREAD_m>, TW_STEP_m, TW_EVEN_m> Axis_m;
typedef Axis<1, Spread<TW_SPREAD_N>, TW_STEP_N, TW_EVEN_N> Axis_N;
typedef Axes<Axis_m> Axes_m;
typedef Axes<Axis_N, Axis_m> Axes_N_m;

struct Arguments {
    Fault* fault;
    unsigned launch;
    int m_first, m_last, m_programs;
    Tensor<const TYPE_T, 2> arg_x;
    Tensor<f32, 1> arg_rows;
    Tensor<TYPE_T, 1> arg_mean;
    Tensor<f32, 1> arg_products;
    int dim_M;
    int dim_N;
};

extern "C" __global__ void __launch_bounds__(TW_THREADS + TW_PRODUCERS)
sums_float(const __grid_constant__ Arguments args) {
    // for m in tile(M)
    TW_SHARED(shared);
    (void)shared;
    unsigned program = blockIdx.x;
    Axis_m m;
    m.at(args.m_first + int(program % unsigned(args.m_programs)) * Axis_m::step, args.m_last);
    program /= unsigned(args.m_programs);
    Axis_N N;
    N.at(0, args.dim_N);
    (void)program;
    // let row = x[(m, ..)];
    Tile<TYPE_T, Axes_N_m> row;
    load<1>(true, row, args.arg_x.data, cast<TYPE_T>(0.0f), along(args.arg_x.stride[0], m), along(args.arg_x.stride[1], N));
    Tile<f32, Axes_m> v1;
    reduce<false>(v1, row, N, cast<f32>(0.0f), shared + TW_AT_0,
                  [](f32 a, f32 b) { return add(a, b); });
    // rows[m] = row.sum(N);
    store<TW_VECTOR_0>(true, v1, args.arg_rows.data, along(args.arg_rows.stride[0], m));
    const f32 v12 = cast<f32>(args.dim_N);
    Tile<TYPE_T, Axes_m> v3;
    each(Axes_m, i) {
        const f32 v2 = (v1[i] / v12);
        v3[i] = cast<TYPE_T>(v2);
    }
    // mean[m] = row.mean(N).cast();
    store<TW_VECTOR_1>(true, v3, args.arg_mean.data, along(args.arg_mean.stride[0], m));
    Tile<f32, Axes_N_m> v8;
    each(Axes_N_m, i) {
        const f32 v4 = cast<f32>(row[i]);
        const f32 v6 = (v4 * 1.25e-1f);
        v8[i] = (v6 + 1e0f);
    }
    Tile<f32, Axes_m> v9;
    reduce<false>(v9, v8, N, cast<f32>(1.0f), shared + TW_AT_0,
                  [](f32 a, f32 b) { return mul(a, b); });
    // products[m] = (row * 0.125 + 1.0).prod(N);
    store<TW_VECTOR_2>(true, v9, args.arg_products.data, along(args.arg_products.stride[0], m));
}
